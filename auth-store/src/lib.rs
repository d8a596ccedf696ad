//! Session stores and revocation feeds: SQLite, Postgres, Redis
