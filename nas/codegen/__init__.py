"""A network as the text of one Python file that needs torch only.

Each module builds on those before it: `phrases` (functions that a file carries, as torch), `expressions` (a layer as
calls, and their text), `functions` (what recurs among the calls), `features` (where a network's maps lie), `body` (a
whole network read as these), `timm_names` (what timm asks of it), `network_class` (`class Network` and `load`),
`source` (the file, of a `nas.packaging.package.Package`). `nas.exporters.python_module` puts it into a folder.
"""
