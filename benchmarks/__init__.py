"""How fast, how large, and beside whom: `python -m benchmarks`. Not part of the package.

`suites` says what is measured; `library`, `plain` and `beside_*` measure it; `timing`, `work`, `memory` and
`ceiling` are the instruments; `records` keeps what came of it, and `page` writes docs/speed.md from that.
"""
