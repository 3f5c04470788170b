//! A tiny static service that crashes and hangs on request.

fn main() {}
