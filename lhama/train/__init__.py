"""Integers in, checkpoints out: optimizer, loop, exact resume."""
