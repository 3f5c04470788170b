//! Builds libzmq 4.3.5 with CURVE (libsodium), statically, for zmq-sys.
