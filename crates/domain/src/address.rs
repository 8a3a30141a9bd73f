//! Which network addresses a destination may have: the address guard's rules, without a look-up.
