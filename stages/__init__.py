"""Stages: each reads settings and inputs, calls `fewlabel`, and writes outputs."""
