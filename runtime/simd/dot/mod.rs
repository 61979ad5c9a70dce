//! Matrix products: packing and register-blocked microkernels, plain functions per instruction set.
