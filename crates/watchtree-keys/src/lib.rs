//! CURVE and signing keys, allow-lists, their files and modes.
