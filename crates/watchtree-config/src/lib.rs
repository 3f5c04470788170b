//! TOML, environment and flags, parsed into checked types.
