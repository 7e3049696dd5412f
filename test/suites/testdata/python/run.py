"""Runs the unittest tests below ./tests and prints a line for each: how it
ended, and its name. What was wrong goes to standard error."""

import sys
import unittest


class Lines(unittest.TestResult):
    """One line when a test begins, one when it has ended."""

    def startTest(self, test):
        super().startTest(test)
        self.wrong = False
        self.say("run", test)

    def say(self, how, test):
        print(how, test.id().removeprefix("tests."), flush=True)

    def addSuccess(self, test):
        if not self.wrong:
            self.say("pass", test)

    def bad(self, test, err):
        self.wrong = True
        self.say("fail", test)
        print(test.id(), self._exc_info_to_string(err, test), file=sys.stderr, flush=True)

    def addFailure(self, test, err):
        self.bad(test, err)

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.bad(test, err)

    def addSkip(self, test, reason):
        self.say("skip", test)

    def addExpectedFailure(self, test, err):
        self.say("pass", test)

    def addUnexpectedSuccess(self, test):
        self.say("fail", test)


tests = unittest.defaultTestLoader.discover("tests", top_level_dir=".")
tests.run(Lines())
