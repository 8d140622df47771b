"""What surrounds an exported file, whatever its format.

Each module builds on those before it: `package` (what an exporter is given: network, weights, origin), `spec` (its name
and NAME.json), `fresh_process` (a script that uses an export where this project is not), `proof` (that an export is the
network, there or in another runtime), `card` (the model card), `delivery` (a proved file into its folder, with spec and
card beside it).
"""
