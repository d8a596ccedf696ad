//! What must not compile does not. The cases are in `cases/`, with what the compiler says.
