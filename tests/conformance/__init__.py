"""The guarantees of docs/api.md, a file each, shown on the deployed stack while processes and stores are killed.

scripts/faults provokes the full count of each fault, scripts/test a tenth.

conftest.py                                                the stack and its fixtures; figures, printed at the end
test_a_lock_has_one_holder.py                              locks
test_no_update_is_lost.py                                  versions
test_services_commit_while_mongodb_is_down.py              stores down
test_sessions_are_refused_in_time_while_mongodb_is_down.py stores down
test_nothing_acknowledged_is_lost.py                       stores down
test_effects_happen_once.py                                queues
test_a_repeated_call_does_its_work_once.py                 retries of callers
test_money_moves_once.py                                   the ledger
test_poison_ends_in_its_dead_letter_queue.py               queues
test_progress_never_steps_back.py                          progress under killed functions and chunks that come again
test_a_committed_write_reaches_its_followers.py            events
test_a_committed_write_reaches_its_webhooks.py             events
test_a_message_reaches_its_receiver.py                     messages
test_one_caller_never_delays_another.py                    fairness
test_an_answer_is_called_back_once.py                      approvals
test_one_outcome_of_a_request_wins.py                      approvals
test_a_request_outlives_its_waiter.py                      approvals
test_nothing_expired_is_served.py                          expiry
"""
