/** The house rules that a machine can check (STYLE.md). `deno lint` runs them; tests/architecture_test.ts shows that each one fires. */

const FUNCTION_LINES_MAX = 70;
const FUNCTIONS = "FunctionDeclaration, FunctionExpression, ArrowFunctionExpression";

/** 0-based line of an offset. */
function lineAt(text: string, offset: number): number {
  let line = 0;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) line++;
  return line;
}

function isSource(fileName: string): boolean {
  return /\/src\/[\w/]+\.ts$/.test(fileName.replaceAll("\\", "/"));
}

function refuse(selector: string, message: string): Deno.lint.Rule {
  return {
    create: (context) =>
      ({ [selector]: (node: Deno.lint.Node) => context.report({ node, message }) }) as Deno.lint.LintVisitor,
  };
}

function inSource(rule: Deno.lint.Rule): Deno.lint.Rule {
  return { create: (context) => (isSource(context.filename) ? rule.create(context) : {}) };
}

const plugin: Deno.lint.Plugin = {
  name: "house",
  rules: {
    "no-enum": refuse("TSEnumDeclaration", "no enum: a union of strings says the same and is data"),
    "no-namespace": refuse("TSModuleDeclaration", "no namespace: a file is one"),
    "no-decorator": refuse("Decorator", "no decorator: call the function"),
    "no-default-export": inSource(
      refuse("ExportDefaultDeclaration", "no default export: a thing has one name everywhere"),
    ),
    "no-barrel": inSource(refuse("ExportAllDeclaration", "no barrel inside src: import from the file that has it")),
    "no-mutable-module-state": inSource(
      refuse(
        "Program > VariableDeclaration[kind='let'], Program > ExportNamedDeclaration > VariableDeclaration[kind='let']",
        "no mutable module state: pass it in",
      ),
    ),
    "function-lines": {
      create: (context) =>
        ({
          [FUNCTIONS]: (node: Deno.lint.Node) => {
            const text = context.sourceCode.text;
            const lines = lineAt(text, node.range[1]) - lineAt(text, node.range[0]) + 1;
            if (lines > FUNCTION_LINES_MAX && isSource(context.filename)) {
              context.report({ node, message: `a function of ${lines} lines (at most ${FUNCTION_LINES_MAX})` });
            }
          },
        }) as Deno.lint.LintVisitor,
    },
    "documented-export": inSource({
      create: (context) =>
        ({
          "Program > ExportNamedDeclaration": (node: Deno.lint.Node) => {
            const before = context.sourceCode.text.slice(0, node.range[0]).trimEnd();
            const declaration = (node as Deno.lint.ExportNamedDeclaration).declaration;
            if (!declaration) return;
            // A schema and its type share one name and one comment.
            const twin = declaration.type === "TSTypeAliasDeclaration" &&
              context.sourceCode.text.includes(`export const ${declaration.id.name}`);
            if (!before.endsWith("*/") && !twin) {
              context.report({ node, message: "an export says what it promises: add a doc comment" });
            }
          },
        }) as Deno.lint.LintVisitor,
    }),
    "environment-in-config": inSource({
      create: (context) =>
        ({
          "MemberExpression[object.name='Deno'][property.name='env']": (node: Deno.lint.Node) => {
            if (!/\/src\/(config|cli)\//.test(context.filename)) {
              context.report({ node, message: "only config reads the environment" });
            }
          },
        }) as Deno.lint.LintVisitor,
    }),
  },
};

export default plugin;
