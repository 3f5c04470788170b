//! ZeroMQ: link thread, CURVE, ZAP, monitors, reconnect. Moves frames, knows no meaning.
