//! Looks from outside: does a kernel answer (TCP accepted or refused, ICMP).
