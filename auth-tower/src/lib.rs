//! Authentication layer and extractors for tower and axum
