//! Checks on the syntax of single files: it can be read, functions take few arguments, effects are matched one by one.
//!
//! It knows no types: an enum of effects is one whose name ends in `Effect`, and what is written inside the call of a
//! macro is not seen.

use super::tree::{Finding, Tree};
use anyhow::Result;
use std::collections::BTreeSet;
use syn::visit::{self, Visit};
use syn::{FnArg, Pat};

/// More than that belongs together, and has a name.
const ARGUMENTS_MAX: usize = 6;

/// What no check can read, no check has checked.
pub(super) fn parses(tree: &Tree) -> Result<Vec<Finding>> {
    let unread = tree.parsed().iter().filter_map(|(path, file)| {
        let (line, why) = file.as_ref().err()?;
        Some(Finding::new(
            format!("{path}:{line}"),
            format!("cannot be parsed: {why}"),
        ))
    });
    Ok(unread.collect())
}

/// No function takes more than [`ARGUMENTS_MAX`], itself not counted.
pub(super) fn arguments(tree: &Tree) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (path, file) in tree.syntax() {
        let mut reader = Arguments {
            path,
            found: &mut found,
        };
        reader.visit_file(file);
    }
    Ok(found)
}

struct Arguments<'a> {
    path: &'a str,
    found: &'a mut Vec<Finding>,
}

impl<'ast> Visit<'ast> for Arguments<'_> {
    // What a C library takes is not ours to say.
    fn visit_foreign_item_fn(&mut self, _: &'ast syn::ForeignItemFn) {}

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        let arguments = signature.inputs.iter();
        let count = arguments.filter(|argument| matches!(argument, FnArg::Typed(_))).count();
        if ARGUMENTS_MAX < count {
            self.found.push(Finding::at(
                self.path,
                signature.ident.span().start().line - 1,
                format!(
                    "`{}` takes {count} arguments, at most {ARGUMENTS_MAX}: give those that belong together a type",
                    signature.ident
                ),
            ));
        }
        visit::visit_signature(self, signature);
    }
}

/// A match on effects names each of them: what is new must be handled, and the compiler says where.
pub(super) fn effects(tree: &Tree) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (path, file) in tree.syntax() {
        let mut reader = Effects {
            path,
            in_effect: false,
            found: &mut found,
        };
        reader.visit_file(file);
    }
    Ok(found)
}

struct Effects<'a> {
    path: &'a str,
    /// Inside an `impl` of an effect, where it is called `Self`.
    in_effect: bool,
    found: &'a mut Vec<Finding>,
}

impl<'ast> Visit<'ast> for Effects<'_> {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of_effect = match &*item.self_ty {
            syn::Type::Path(of) => of.path.segments.last().is_some_and(|part| is_effect(&part.ident)),
            _ => false,
        };
        let outside = std::mem::replace(&mut self.in_effect, of_effect);
        visit::visit_item_impl(self, item);
        self.in_effect = outside;
    }

    fn visit_expr_match(&mut self, expr: &'ast syn::ExprMatch) {
        let mut positions = Positions {
            in_effect: self.in_effect,
            ..Positions::default()
        };
        for arm in &expr.arms {
            positions.read(&arm.pat, String::new());
        }
        for (at, line) in &positions.open {
            if positions.effects.iter().any(|effect| effect.starts_with(at)) {
                self.found.push(Finding::at(
                    self.path,
                    line - 1,
                    "catches every further effect: name each variant, so that a new one must be handled",
                ));
            }
        }
        visit::visit_expr_match(self, expr);
    }
}

fn is_effect(name: &syn::Ident) -> bool {
    name.to_string().ends_with("Effect")
}

/// Where in the patterns of one match effects are named, and where anything is taken.
#[derive(Default)]
struct Positions {
    in_effect: bool,
    effects: BTreeSet<String>,
    open: BTreeSet<(String, usize)>,
}

impl Positions {
    fn read(&mut self, pattern: &Pat, at: String) {
        match pattern {
            Pat::Wild(wild) => drop(self.open.insert((at, wild.underscore_token.spans[0].start().line))),
            Pat::Ident(bound) => match &bound.subpat {
                Some((_, pattern)) => self.read(pattern, at),
                // A constant or an imported variant is written like a binding, but in another case.
                None if bound.ident.to_string().starts_with(char::is_uppercase) => {}
                None => drop(self.open.insert((at, bound.ident.span().start().line))),
            },
            Pat::Or(or) => or.cases.iter().for_each(|pattern| self.read(pattern, at.clone())),
            Pat::Paren(inner) => self.read(&inner.pat, at),
            Pat::Reference(inner) => self.read(&inner.pat, at),
            // A guarded arm takes not everything; the effects it names are named.
            Pat::Guard(guarded) => {
                let open = self.open.clone();
                self.read(&guarded.pat, at);
                self.open = open;
            }
            Pat::Tuple(tuple) => self.read_all(tuple.elems.iter(), &at),
            Pat::TupleStruct(variant) => {
                self.named(&variant.path, &at);
                let inside = format!("{at}/{}", last(&variant.path));
                self.read_all(variant.elems.iter(), &inside);
            }
            Pat::Struct(variant) => {
                self.named(&variant.path, &at);
                for field in &variant.fields {
                    let member = match &field.member {
                        syn::Member::Named(name) => name.to_string(),
                        syn::Member::Unnamed(index) => index.index.to_string(),
                    };
                    self.read(&field.pat, format!("{at}/{}.{member}/", last(&variant.path)));
                }
            }
            Pat::Path(variant) => self.named(&variant.path, &at),
            _ => {}
        }
    }

    fn read_all<'p>(&mut self, patterns: impl Iterator<Item = &'p Pat>, at: &str) {
        for (index, pattern) in patterns.enumerate() {
            self.read(pattern, format!("{at}.{index}/"));
        }
    }

    /// `ContainerEffect::Inspect`, and `Self::Inspect` in an `impl` of its.
    fn named(&mut self, path: &syn::Path, at: &str) {
        let of = path.segments.iter().rev().nth(1);
        if of.is_some_and(|of| is_effect(&of.ident) || (self.in_effect && of.ident == "Self")) {
            self.effects.insert(at.to_owned());
        }
    }
}

fn last(path: &syn::Path) -> String {
    path.segments
        .last()
        .map(|part| part.ident.to_string())
        .unwrap_or_default()
}
