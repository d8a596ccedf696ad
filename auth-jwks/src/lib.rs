//! Remote JWKS and OpenID Connect discovery for verifying foreign tokens
