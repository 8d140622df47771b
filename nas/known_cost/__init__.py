"""Search by two objectives of which one is known: accuracy is learned, cost is read.

A Gaussian process models accuracy alone; cost is exact and free, so it is no second model but an input of
the first and an axis of the acquisition. Nothing here knows Optuna or networks: a `Domain` says what
candidates there are, `propose` says which of them to look at next. It is a pure function of what is known
and a seed.

- Expected hypervolume improvement: Emmerich, Giannakoglou, Naujoks 2006, "Single- and multiobjective
  evolutionary optimization assisted by Gaussian random field metamodels". With one objective known the
  two-dimensional integral falls apart into one-dimensional expected improvements (Jones 1998), one a step
  of the front, so it is exact in closed form.
- Priors of the length scales that grow with the number of parameters: Hvarfner, Hellsten, Nardi 2024,
  "Vanilla Bayesian optimization performs great in high dimensions".
- Words as dimensions of their own length scale, holes that are closed as a place of their own: after
  Hutter and Osborne 2013, "A kernel for hierarchical parameter spaces".
- What an earlier search believed as an input of a later one's model, where it may be right, wrong or upside down:
  after Perdikaris et al. 2017, "Nonlinear information fusion algorithms for data-efficient multi-fidelity modelling".
- Running trials stand in with the mean that the model has of them: Ginsbourger 2010, "Kriging believer".
"""
