"""What a learner's functions print."""

from contextlib import redirect_stdout

from labs.kit.attempt.printed import MOST, Printed


def test_it_is_kept_for_the_function_that_was_called_last() -> None:
    printed = Printed()
    with redirect_stdout(printed):
        print("nobody's")
        printed.name = "first"
        print("one")
        printed.name = "second"
        print("two")
    assert printed.texts == {"first": "one\n", "second": "two\n"}


def test_another_run_says_nothing_anew_of_those_that_have_spoken() -> None:
    printed = Printed()
    with redirect_stdout(printed):
        printed.name = "first"
        print("one")
        printed.close_all()
        printed.name = "first"
        print("again")
        printed.name = "second"
        print("two")
    assert printed.texts == {"first": "one\n", "second": "two\n"}


def test_a_loop_without_end_does_not_fill_the_memory() -> None:
    printed = Printed()
    printed.name = "endless"
    with redirect_stdout(printed):
        for _ in range(MOST):
            print("on and on")
    assert len(printed.texts["endless"]) == MOST
