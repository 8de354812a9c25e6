"""Benchmarks: what Veille costs, as ratios of things measured in one run on one machine.

`make bench` (or `python -m benchmarks`) prints a table; `--json` prints the same and more for programs.
Seconds of one machine say little about another; the seconds of one piece of work against those of another
that was done a moment earlier do. So nearly every line is a ratio, of CPU seconds unless it says otherwise.
It is no test: nothing here fails because a machine is busy.

In reading order: `meter` (what costs are), `pages` and `prose` (what is measured on: real pages, invented
articles), `children`, `serving` and `workshop` (where it runs), then the measurements: `readers`, `peers` and
`quality` (extraction alone, against others), `pool` (several processes), `line` (all of it), `polling`,
`stock` with `growth` and `searching` (a large library); `conditions`, `findings`, `report` and `__main__` put
them together.
"""
