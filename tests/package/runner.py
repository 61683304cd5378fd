"""Runs the tests of a file on booted machines. Continuous integration reads the closing line."""

import argparse
import os
import sys
import time
import unittest


class Result(unittest.TextTestResult):
    """One line for each test, with its duration."""

    def startTest(self, test):
        super().startTest(test)
        test.since = time.monotonic()

    def addSuccess(self, test):
        unittest.TestResult.addSuccess(self, test)
        self.stream.writeln(f"ok ({time.monotonic() - test.since:.1f} s)")


def main(module, options, roots):
    """Reads the command line into `options` (`roots` is the name of the option for roots), runs the
    named tests of a module, or all, and exits."""
    parser = argparse.ArgumentParser(description=module.__doc__)
    parser.add_argument("--deb", required=True, type=os.path.abspath)
    parser.add_argument(roots, required=True, type=os.path.abspath)
    parser.add_argument("--logs", required=True, type=os.path.abspath)
    parser.add_argument("tests", nargs="*")
    parser.parse_args(namespace=options)
    if os.geteuid() != 0:
        sys.exit(f"{os.path.basename(module.__file__)}: needs root")
    os.makedirs(options.logs, exist_ok=True)
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(options.tests, module) if options.tests else loader.loadTestsFromModule(module)
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result)
    result = runner.run(suite)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)
