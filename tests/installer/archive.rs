//! Archives that are not what they should be, and patches that do not fit.
