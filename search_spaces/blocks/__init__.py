"""The blocks, stems and heads of the literature, one a file; `search_spaces.part` finds them by themselves."""
