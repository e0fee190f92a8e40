"""Hostile input: what strangers send, and what somebody who can write to the store can put there.

`targets` are functions of bytes that hold for any bytes; `fuzz` runs them for as long as asked,
guided by coverage where atheris is installed; the tests run them on `corpus` and on what Hypothesis
makes up.
"""
