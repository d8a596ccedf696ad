//! Cookie transport for access and refresh tokens: prefixes, presets, byte-exact parsing
