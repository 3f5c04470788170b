//! prost types and frames of `watchtree.link.v1`, converted to and from core types.
