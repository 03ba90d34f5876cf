"""Reads a JUnit file as CI does, and prints what it has come to as JSON: junit.py FILE."""

import json
import pathlib
import sys

import junitparser
import xmlschema

path = sys.argv[1]
xmlschema.XMLSchema(str(pathlib.Path(__file__).with_name("junit.xsd"))).validate(path)
told = {"suites": {}, "cases": {}}
xml = junitparser.JUnitXml.fromfile(path)
for suite in xml:
    told["suites"][suite.name] = {
        "tests": suite.tests,
        "failures": suite.failures,
        "errors": suite.errors,
        "skipped": suite.skipped,
    }
    for case in suite:
        results = [
            {"kind": type(result).__name__.lower(), "message": result.message, "text": result.text}
            for result in case.result
        ]
        told["cases"][f"{case.classname}::{case.name}"] = results
told["errors"] = xml.errors
print(json.dumps(told))
