"""Rules for all code of this repository, checked by reading the code.

source.py            the code that the rules read, and how a broken rule is reported
test_imports.py      imports run one way: import-linter's contracts, built from the folders
test_declarations.py declarations of slices, and what follows: functions, policies, senders
test_api_page.py     docs/api.md has a line for every route
test_guarantees.py   every guarantee of docs/api.md has its file in tests/conformance
test_pages.py        links lead to files; every script and decision is listed
test_costs.py        every result in docs/costs.md follows from its prices and counts; README shows its sums
test_maps.py         folder maps list exactly the files of their folder
test_sizes.py        no module over 300 lines, no function over 40
test_docstrings.py   every module and public function has a docstring
test_container.py    the server loads no module that a container lacks
test_clients.py      a single module makes clients of stores and services
test_network.py      egress alone opens connections to addresses
test_environment.py  settings alone read the environment
test_errors.py       every error that callers see has a docstring
test_problems.py     every error of a route has a code, and every code a section in docs/problems.md
test_requirements.py locked files agree with pyproject.toml, with each other, and have hashes
"""
