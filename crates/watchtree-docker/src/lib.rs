//! bollard to core observations; performs core actions.
