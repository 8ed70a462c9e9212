// What the tidy test wants to know of a source file.
// In:  TypeScript source.
// Out: its imports, its functions with their lengths, and where it uses what is forbidden.
// Absent: opinions (tidy.test.ts, tidy-rooms.ts).

import { posix } from 'node:path'
import ts from 'typescript'
import type { Import } from './tidy-rooms.ts'

export interface Source {
  /** Path below src/. */
  file: string
  text: string
  tree: ts.SourceFile
}

export interface Found<T> {
  /** Counted from 1. */
  line: number
  value: T
}

export function parse(file: string, text: string): Source {
  return { file, text, tree: ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true) }
}

export function importsOf({ file, tree }: Source): Found<Import>[] {
  const found: Found<Import>[] = []
  visit(tree, (node) => {
    const specifier = specifierOf(node)
    if (specifier === undefined) return
    const to = specifier.startsWith('.')
      ? posix.join(posix.dirname(file), specifier)
      : packageName(specifier)
    const typeOnly = isTypeOnly(node)
    const value = { from: file, to, isPackage: !specifier.startsWith('.'), typeOnly }
    found.push({ line: lineOf(tree, node), value })
  })
  return found
}

/** Covers `import`, `export … from`, `import()`, `import('…').Type` and `require()`. */
function specifierOf(node: ts.Node): string | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
    return node.moduleSpecifier && literal(node.moduleSpecifier)
  }
  if (ts.isImportTypeNode(node)) {
    return ts.isLiteralTypeNode(node.argument) ? literal(node.argument.literal) : undefined
  }
  if (!ts.isCallExpression(node)) return undefined
  const callee = node.expression
  const loads =
    callee.kind === ts.SyntaxKind.ImportKeyword ||
    (ts.isIdentifier(callee) && callee.text === 'require')
  return loads && node.arguments[0] ? literal(node.arguments[0]) : undefined
}

function literal(node: ts.Node): string | undefined {
  return ts.isStringLiteralLike(node) ? node.text : undefined
}

function isTypeOnly(node: ts.Node): boolean {
  if (ts.isImportTypeNode(node)) return true
  if (ts.isExportDeclaration(node)) return node.isTypeOnly
  if (!ts.isImportDeclaration(node) || node.importClause === undefined) return false
  if (node.importClause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  const bindings = node.importClause.namedBindings
  const named = bindings !== undefined && ts.isNamedImports(bindings) ? bindings.elements : []
  return (
    node.importClause.name === undefined &&
    named.length > 0 &&
    named.every((element) => element.isTypeOnly)
  )
}

function packageName(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/**
 * Lines of each function, without blank lines, lines of comment, and the lines of functions within
 * it where `withoutInner` is set: a suite is a function full of tests, and each of those is
 * measured by itself.
 */
export function functionLengths({ tree, text }: Source, withoutInner: boolean): Found<number>[] {
  const lines = text.split('\n')
  const found: Found<number>[] = []
  visit(tree, (node) => {
    if (!isFunction(node)) return
    const counted = linesOf(tree, node)
    if (withoutInner) {
      eachInner(node, (inner) => {
        for (const line of [...linesOf(tree, inner)].slice(1)) counted.delete(line)
      })
    }
    const code = [...counted].filter((line) => /^\s*(?!\/\/|\/\*|\*)\S/.test(lines[line - 1] ?? ''))
    found.push({ line: lineOf(tree, node), value: code.length })
  })
  return found
}

function eachInner(node: ts.Node, use: (inner: ts.Node) => void): void {
  ts.forEachChild(node, (child) => {
    if (isFunction(child)) use(child)
    else eachInner(child, use)
  })
}

function isFunction(node: ts.Node): boolean {
  return ts.isFunctionLike(node) && 'body' in node && node.body !== undefined
}

function linesOf(tree: ts.SourceFile, node: ts.Node): Set<number> {
  const first = lineOf(tree, node)
  const last = tree.getLineAndCharacterOfPosition(node.end).line + 1
  return new Set(Array.from({ length: last - first + 1 }, (_, index) => first + index))
}

/** Lines where the type `any` is written. */
export function anyTypes({ tree }: Source): number[] {
  return linesWhere(tree, (node) => node.kind === ts.SyntaxKind.AnyKeyword)
}

/** Lines that reach for `process.env`, also by way of destructuring. */
export function environmentUses({ tree }: Source): number[] {
  return linesWhere(tree, (node) => {
    if (ts.isPropertyAccessExpression(node)) return /^process\s*\.\s*env$/.test(node.getText(tree))
    if (!ts.isVariableDeclaration(node) || node.initializer?.getText(tree) !== 'process')
      return false
    return /\benv\b/.test(node.name.getText(tree))
  })
}

function linesWhere(tree: ts.SourceFile, matches: (node: ts.Node) => boolean): number[] {
  const found: number[] = []
  visit(tree, (node) => {
    if (matches(node)) found.push(lineOf(tree, node))
  })
  return found
}

function lineOf(tree: ts.SourceFile, node: ts.Node): number {
  return tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1
}

function visit(node: ts.Node, use: (node: ts.Node) => void): void {
  use(node)
  ts.forEachChild(node, (child) => {
    visit(child, use)
  })
}
