"""A space as one network: weights for all of its architectures, trained once, from which each takes its part.

A space is an architecture with holes; here it is built with its holes left in. A hole over whole blocks, stems or
heads keeps its alternatives side by side. All other holes share tensors by slicing: kernels by their central taps,
widths, expansions, growths and squeezes by leading channels, depths by first blocks, groups by leading columns.

    supernet = Supernet(space, in_channels=3, num_classes=10, pixels=32)
    supernet.select(arch)      # its module on the shared weights: what trains it, trains them
    supernet.extract(arch)     # the ordinary module of nas.build, with a copy of them

reading.py    which part of which tensor each leaf is: a reading of the layer expression
extents.py    how large the tensors must be: maxima over the space's lattice
network.py    the module; views for weights, gradients added up where they belong
sampling.py   which networks a step trains: uniform, fair, sandwich
training.py   the loop, with checkpoints that resume to the same weights
evaluators.py accuracies from it, as the search asks for them
phases.py     `nas.search --evaluator supernet`: train, search, fine-tune

Papers, and where this departs from them:

- Guo 2020, "Single Path One-Shot Neural Architecture Search with Uniform Sampling": one uniform path a step, and
  batch norms recalibrated for each candidate. Here uniform over the networks within the budget.
- Cai 2020, "Once-for-All": kernels, depths and widths in one tensor. No learned transformation between kernel sizes,
  no progressive shrinking, no sorting of channels by importance.
- Yu 2020, "BigNAS": sandwich rule and in-place distillation; the largest network is the dearest found within the
  budget, not the largest of the space. Regularisation is the recipe's, for all networks alike.
- Chu 2021, "FairNAS": each alternative of a hole over blocks once in a step. Only holes over blocks are treated so.
- Wang 2021, "AttentiveNAS": sampling directed at the front. Not done: uniform within the budget is all the attention.

The papers add up the gradients of a step's networks; here each tensor takes the mean over the networks that have it.
Channels behind a concatenation are sliced branch by branch, which none of them needs.
"""
