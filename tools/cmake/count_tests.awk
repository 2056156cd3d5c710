# count_tests.awk - counts tests in a JUnit file of CTest: the test functions of the cmocka
# programs, and every other test as one. A cmocka program that began a group of tests and did
# not bring it to its end has failed, whatever its exit code; so has a test that could not run.
#
# Prints "programs passed failed skipped". With -v failures=FILE the output of every test that
# failed goes there.

function number_of_tests() { # of "[==========] name: 12 test(s) run." the 12
    for (i = 2; i <= NF; ++i)
        if (index($i, "test(s)") == 1)
            return $(i - 1) + 0
    return 0
}

function attribute(name) {
    return match($0, " " name "=\"[^\"]*\"") ? substr($0, RSTART + length(name) + 3,
                                                      RLENGTH - length(name) - 4) : ""
}

function finish() {
    ++programs
    if (status == "notrun" && skip_asked || status == "disabled")
        ++skipped
    else if (status != "run" && failed == 0)
        ++failed
    else if (began != ended && failed == 0)
        ++failed
    else if (began == 0 && status == "run")
        ++passed
    if (failed > 0 && failures != "")
        printf "---- %s (%s)\n%s\n", name, status, output >failures
    all_passed += passed
    all_failed += failed
    all_skipped += skipped
}

{ sub(/\r$/, "") }
/^\t<testcase / {
    name = attribute("name")
    status = attribute("status")
    output = ""
    began = ended = passed = failed = skipped = skip_asked = 0
    next
}
/^\t\t<skipped message="SKIP_/ { skip_asked = 1; next }
/^\t\t<(failure|properties)/ { next }
/^\t<\/testcase>/ { finish(); next }
{
    sub(/^\t\t<system-out>/, "")
    sub(/<\/system-out>$/, "")
    gsub(/&lt;/, "<")
    gsub(/&gt;/, ">")
    gsub(/&quot;/, "\"")
    gsub(/&apos;/, "'")
    gsub(/&amp;/, "\\&")
    output = output $0 "\n"
}
/^\[==========\].*Running [0-9]+ test\(s\)\.$/ { ++began }
/^\[==========\].* [0-9]+ test\(s\) run\.$/ { ++ended }
/^\[  PASSED  \] .*test\(s\)/ { passed += number_of_tests() }
/^\[  FAILED  \] .*test\(s\)/ { failed += number_of_tests() }
/^\[  SKIPPED \] .*test\(s\)/ { skipped += number_of_tests() }
END { printf "%d %d %d %d\n", programs, all_passed, all_failed, all_skipped }
