//! The rules that need the whole kernel: races, stores in loops, block sizes, bounds.
