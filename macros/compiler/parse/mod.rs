//! From syn to tile IR: names, axes and element types resolved, every mistake reported.
