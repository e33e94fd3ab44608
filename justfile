# The loop: `just check` before a commit, `just ci` before a merge. Without just: read the lines below, they are plain commands.

# format, lint, types, imports, tests: under a minute
check: format lint types imports test

# put the code into shape
format:
    ruff format .
    ruff check --fix .

# what format cannot mend
lint:
    ruff check .
    ruff format --check .

types:
    mypy

imports:
    lint-imports

# all tests, or some: just test tests/data -k gzip
test *ARGS:
    pytest -q -n auto {{ ARGS }}

# exactly what runs before a merge, in fresh virtual environments
ci:
    .ci/run

# an environment to work in
setup:
    pip install -c constraints.txt -e '.[dev]'

# quality beside other classifiers; `just quality --split validation` while developing
quality *ARGS:
    python benchmarks/quality.py --data ../shared/data {{ ARGS }}

# load time, latency and throughput beside other classifiers
speed *ARGS:
    python benchmarks/speed.py --data ../shared/data {{ ARGS }}
