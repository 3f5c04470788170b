//! Sessions: what the manager's and the host's own tests do not reach.
