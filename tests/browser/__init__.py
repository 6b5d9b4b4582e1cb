"""The console in a browser, as people use it: Chromium, on the deployed stack.

chromium.py        the browser
visits.py          signed-in pages, and what must be true of every page
test_answering.py  questions: answered on a phone, by several people, by nobody
test_try.py        the demonstration of a laptop: a caller and a phone side by side
test_receiver.py   received callbacks, and what the receiver answers
test_outages.py    stores that are down, sessions that end, networks that break
test_modes.py      forced colours, reduced motion, the smallest phone
test_looks.py      accessibility, both schemes, both widths, no sideways scroll
test_lists.py      counts of states, and the story of a question
test_requests.py   how often an open page asks the API
test_phones.py     targets and widths of every page on a phone
test_keys.py       everything by the keyboard
test_shortcuts.py  keys, their help, and the palette
test_budget.py     requests of a visit
test_applications.py  changed by two, moved together, paid once
test_operating.py  queues, the ledger and users
test_webhooks.py   webhooks, their deliveries, replay and recovery
test_overview.py   where people begin, what is failing, and the first steps
test_cluster.py    stores, instances, and the lines of queues
test_roles.py      what each role sees, and what leaks
axe.min.js         axe-core 4.14.1 (MPL-2.0), unchanged
"""
