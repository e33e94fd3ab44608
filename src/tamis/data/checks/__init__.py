"""The data gate: what labelled files hold, what is wrong with it, and what will be done about each thing.

`survey` walks the files once and counts; `labels`, `lengths` and `likeness` turn the counts into parts of the report;
`findings` judges them; `report` is the shape that the terminal, the pages and `--json` all show.
"""
