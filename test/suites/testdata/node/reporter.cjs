// A mocha reporter that prints a line for each test: how it ended, and its name.
const say = (how) => (test, err) => {
  console.log(`\n${how} ${test.fullTitle()}`)
  if (err) console.error(test.fullTitle(), err.stack)
}

module.exports = function (runner) {
  runner.on('test', say('run'))
  runner.on('pass', say('pass'))
  runner.on('fail', say('fail'))
  runner.on('pending', say('skip'))
}
