"""Faults put into real searches, and what was lost by each: `python -m benchmarks.faults`.

scene.py holds a search that can be struck, judging.py what must hold afterwards, kinds.py the faults, a function
each, and inside.py what happens within a searching process. A new fault is a function in kinds.py.
"""
