"""Our kernels and others' in one run: see ../versus.py."""
