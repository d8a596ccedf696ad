//! Authentication middleware and extractors for actix-web
