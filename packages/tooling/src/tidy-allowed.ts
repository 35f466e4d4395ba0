/** The homes of what is banned elsewhere: the only table of exceptions, each with its reason. */
export const tidyAllowed: readonly { readonly rule: RegExp; readonly paths: RegExp; readonly why: string }[] = [
  { rule: /^(?:Date\.now|performance\.now|setTimeout)$/, paths: /^packages\/base\/src\/clock\.ts$/, why: 'the home of time' },
  { rule: /^sleeping in tests$/, paths: /^packages\/base\/src\/clock\.test\.ts$/, why: 'the test of sleep' },
  {
    rule: /^process\.env$/,
    paths: /^packages\/(?:node|control-plane|cli|local-cloud)\/src\/(?:config|environment)\.ts$/,
    why: "a root's configuration",
  },
  { rule: /^setTimeout$/, paths: /^packages\/service-bus\/src\/testing\/sdk-timers\.ts$/, why: "it replaces the SDK's timers" },
  { rule: /^process\.env$/, paths: /^packages\/tooling\/src\/run-tests\.ts$/, why: 'the test runner is a program' },
  { rule: /^console$/, paths: /^packages\/(?:node|control-plane|cli|local-cloud)\/src\/output\.ts$/, why: "a root's output" },
  { rule: /^as unknown as$/, paths: /^packages\/(?:protocol\/src\/codec\/|tooling\/src\/syntax-tree\.ts)/, why: 'borders to untyped data' },
  { rule: /^default export$/, paths: /\.config\.(?:ts|mjs)$/, why: 'what a tool asks for' },
];

export function isAllowed(rule: string, path: string): boolean {
  return tidyAllowed.some((each) => each.rule.test(rule) && each.paths.test(path));
}
