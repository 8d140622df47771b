"""Latency as a measured cost: timing on a device, tables of what blocks take, and predictions read from them."""
