//! The checks on syntax, each shown a little tree in memory that breaks its rule, and one that does not.

use super::super::tree::{Finding, Tree};
use super::super::{imports, shape};
use anyhow::Result;

const MANIFEST: (&str, &str) = ("a/Cargo.toml", "");

/// The findings in a package `a` with these files.
fn found(check: fn(&Tree) -> Result<Vec<Finding>>, files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<(&str, &str)> = files.iter().copied().chain([MANIFEST]).collect();
    let found = check(&Tree::of(&files)).expect("the check runs");
    let line = |finding: Finding| format!("{}: {}", finding.place, finding.cure);
    found.into_iter().map(line).collect()
}

/// The circle in a package `a` with these files, without the cure.
fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let chain = |finding: String| {
        let (_, chain) = finding.split_once("each other: ").expect("it tells the circle");
        let (chain, _) = chain.split_once(". Move").expect("it tells the cure");
        chain.to_owned()
    };
    found(imports::cycles, files).into_iter().map(chain).collect()
}

#[test]
fn two_files_that_import_each_other_are_found_with_the_chain_and_the_cure() {
    let files = [
        ("a/src/lib.rs", "mod x; mod y;"),
        ("a/src/x.rs", "use crate::y::Y;\npub struct X(Y);"),
        ("a/src/y.rs", "\nuse super::x::X;\npub struct Y(X);"),
    ];
    assert_eq!(
        found(imports::cycles, &files),
        [
            "a/src/x.rs:1: 2 files use each other: a/src/x.rs:1 (`crate::y::Y`) -> a/src/y.rs:2 (`super::x::X`) -> a/src/x.rs. \
             Move what both need into a file below them, or pass it in"
        ]
    );
}

#[test]
fn a_straight_line_of_imports_is_no_circle() {
    let files = [
        ("a/src/lib.rs", "mod x; mod y; mod z; pub use z::Z;"),
        ("a/src/x.rs", "pub struct X;"),
        ("a/src/y.rs", "use crate::x::X; pub struct Y(X);"),
        ("a/src/z.rs", "use crate::{x::X, y::Y}; pub struct Z(X, Y);"),
    ];
    assert_eq!(circles(&files), [""; 0]);
}

#[test]
fn a_circle_over_three_steps_and_grouped_imports_is_found() {
    let files = [
        ("a/src/lib.rs", "mod x; mod y; mod z;"),
        ("a/src/x.rs", "use crate::{y::{self, Y}, z};\npub struct X(Y);"),
        ("a/src/y.rs", "use super::z::Z as Other;\npub struct Y(Other);"),
        ("a/src/z.rs", "use crate::{x::{X}};\npub struct Z(X);"),
    ];
    assert_eq!(
        circles(&files),
        ["a/src/x.rs:1 (`crate::y::Y`) -> a/src/y.rs:1 (`super::z::Z`) -> a/src/z.rs:1 (`crate::x::X`) -> a/src/x.rs"]
    );
}

#[test]
fn the_whole_circle_is_named_beside_its_shortest_chain() {
    let files = [
        ("a/src/lib.rs", "mod x; mod y; mod z;"),
        ("a/src/x.rs", "use crate::{y::Y, z::Z};\npub struct X(Y, Z);"),
        ("a/src/y.rs", "use crate::x::X;\npub struct Y(X);"),
        ("a/src/z.rs", "use crate::y::Y;\npub struct Z(Y);"),
    ];
    assert_eq!(
        circles(&files),
        ["a/src/x.rs:1 (`crate::y::Y`) -> a/src/y.rs:1 (`crate::x::X`) -> a/src/x.rs; in the same circle: a/src/z.rs"]
    );
}

#[test]
fn paths_without_an_import_count_also_in_macros_and_types() {
    let y = [
        "pub fn y() { super::x::f() }",
        "pub fn y() -> crate::x::X { loop {} }",
        "use super::x; pub fn y() { x::f() }",
        "pub fn y() { assert_eq!(super::x::f(), ()) }",
        "pub fn y() { if let crate::x::X {} = todo() {} } fn todo() -> ! { loop {} }",
        "pub fn y() { use super::x::f; f() }",
        "pub fn y() { m!() }",
        "macro_rules! n { () => { $crate::x::f() } }",
    ];
    for text in y {
        let files = [
            ("a/src/lib.rs", "mod x; mod y;"),
            (
                "a/src/x.rs",
                "pub struct X; pub fn f() { super::y::y() } macro_rules! m { () => {} }\nfn g() { n!() }",
            ),
            ("a/src/y.rs", text),
        ];
        assert_eq!(circles(&files).len(), 1, "{text}");
    }
}

#[test]
fn a_module_that_is_only_named_is_not_used() {
    let files = [
        ("a/src/lib.rs", "mod x; mod y;"),
        ("a/src/x.rs", "use super::y::Y;\npub struct X(Y);"),
        ("a/src/y.rs", "use super::x;\nfn f(x: Y) { x.y }\npub struct Y;"),
    ];
    assert_eq!(circles(&files), [""; 0]);
}

#[test]
fn a_re_export_leads_to_the_file_that_defines() {
    let passes = [
        ("a/src/lib.rs", "mod p; mod user;"),
        ("a/src/p/mod.rs", "mod x; mod y; pub use x::X; pub use y::*;"),
        ("a/src/p/x.rs", "pub struct X;"),
        ("a/src/p/y.rs", "use super::X;\npub struct Y(X);"),
        ("a/src/user.rs", "use crate::p::{X, Y}; struct User(X, Y);"),
    ];
    assert_eq!(circles(&passes), [""; 0], "the parent defines nothing of it");
    let mut crossed = passes;
    crossed[2].1 = "use super::Y;\npub struct X(Y);";
    assert_eq!(
        circles(&crossed),
        ["a/src/p/x.rs:1 (`super::Y`) -> a/src/p/y.rs:1 (`super::X`) -> a/src/p/x.rs"]
    );
}

#[test]
fn a_parent_that_uses_a_child_that_uses_what_the_parent_defines_is_found() {
    let files = [
        ("a/src/lib.rs", "mod p;"),
        (
            "a/src/p.rs",
            "mod x;\nuse x::X;\npub const LIMIT: u32 = 1;\nfn f(_: X) {}",
        ),
        ("a/src/p/x.rs", "pub struct X([u8; super::LIMIT]);"),
    ];
    assert_eq!(
        circles(&files),
        ["a/src/p.rs:2 (`x::X`) -> a/src/p/x.rs:1 (`super::LIMIT`) -> a/src/p.rs"]
    );
    let mut passed_on = files;
    passed_on[1].1 = "mod x;\npub use x::X;\npub const LIMIT: u32 = 1;";
    assert_eq!(circles(&passed_on), [""; 0], "the parent only passes the name on");
}

#[test]
fn tests_may_use_their_parent_but_not_each_other_in_a_circle() {
    let files = [
        ("a/src/lib.rs", "pub fn f() {}\n#[cfg(test)] mod tests;"),
        ("a/src/tests.rs", "use super::*;\nmod one; mod two;\nfn g() { f() }"),
        ("a/src/tests/one.rs", "use super::*;\npub fn h() { g(); f(); }"),
        ("a/src/tests/two.rs", "use super::*;\nfn i() { g(); one::h() }"),
    ];
    assert_eq!(circles(&files), [""; 0]);
    let mut crossed = files;
    crossed[1].1 = "use super::*;\nmod one; mod two;\nfn g() { one::h() }";
    assert_eq!(
        circles(&crossed),
        ["a/src/tests.rs:3 (`one::h`) -> a/src/tests/one.rs:2 (`g`) -> a/src/tests.rs"]
    );
}

#[test]
fn a_circle_in_the_files_of_an_integration_test_is_found_once() {
    let files = [
        ("a/tests/one.rs", "mod world;"),
        ("a/tests/two.rs", "mod world;"),
        ("a/tests/world/mod.rs", "mod x;\npub struct World(x::X);"),
        ("a/tests/world/x.rs", "pub struct X(Box<super::World>);"),
    ];
    assert_eq!(
        circles(&files),
        ["a/tests/world/mod.rs:2 (`x::X`) -> a/tests/world/x.rs:1 (`super::World`) -> a/tests/world/mod.rs"]
    );
}

#[test]
fn an_impl_in_two_files_is_found_and_one_of_a_trait_is_not() {
    let files = [
        ("a/src/lib.rs", "mod x; mod y;"),
        ("a/src/x.rs", "pub struct X;\nimpl X {}\nimpl X { fn f() {} }"),
        ("a/src/y.rs", "use super::x::X;\nimpl X {}"),
    ];
    assert_eq!(
        found(imports::scattered, &files),
        [
            "a/src/x.rs:2: `impl X` stands in 2 files (a/src/x.rs:2, a/src/y.rs:2): give the other parts types of their own"
        ]
    );
    let mut others = files;
    others[2].1 = "use super::x::X;\nimpl Clone for X {}\nmod z { struct X; impl X {} }";
    assert_eq!(found(imports::scattered, &others), [""; 0]);
}

#[test]
fn a_long_role_is_found_and_a_long_type_that_is_none_is_not() {
    let role = |lines: usize| {
        format!(
            "struct X;\nimpl X {{}}\nimpl Machine for X {{}}\n{}",
            "// line\n".repeat(lines - 3)
        )
    };
    assert_eq!(found(imports::role_sizes, &[("a/src/lib.rs", &role(350))]), [""; 0]);
    assert_eq!(
        found(imports::role_sizes, &[("a/src/lib.rs", &role(351))]),
        ["a/src/lib.rs: 351 lines with `impl X`, at most 350: a role is wiring, its rules are types of their own"]
    );
    let toy = format!("#[cfg(test)] mod tests {{ {} }}", role(351));
    assert_eq!(found(imports::role_sizes, &[("a/src/lib.rs", &toy)]), [""; 0]);
    let other = role(351).replace("Machine", "Clone");
    assert_eq!(found(imports::role_sizes, &[("a/src/lib.rs", &other)]), [""; 0]);
}

#[test]
fn seven_arguments_are_found_wherever_the_function_stands() {
    let seven = "a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8";
    let six = "a: u8, b: u8, c: u8, d: u8, e: u8, f: u8";
    let bodies = [
        ("fn f(ARGS) {}", ""),
        ("struct X; impl X { fn f(SELF) {} }", "&self, "),
        ("trait X { fn f(SELF); }", "self, "),
        ("#[cfg(test)] mod tests { fn f(ARGS) {} }", ""),
        ("fn outer() { fn f(ARGS) {} }", ""),
    ];
    for (body, own) in bodies {
        let text = |arguments: &str| {
            body.replace("SELF", &format!("{own}{arguments}"))
                .replace("ARGS", arguments)
        };
        assert_eq!(
            found(shape::arguments, &[("a/src/lib.rs", &text(seven))]),
            ["a/src/lib.rs:1: `f` takes 7 arguments, at most 6: give those that belong together a type"],
            "{body}"
        );
        assert_eq!(
            found(shape::arguments, &[("a/src/lib.rs", &text(six))]),
            [""; 0],
            "{body}"
        );
    }
    let foreign = format!("extern \"C\" {{ fn f({seven}); }}");
    assert_eq!(found(shape::arguments, &[("a/src/lib.rs", &foreign)]), [""; 0]);
}

#[test]
fn an_effect_that_is_matched_with_a_catch_all_is_found() {
    let arms = |arms: &str| format!("fn f() {{ match x {{\n{arms}\n}} }}");
    let caught = [
        "LampEffect::On => 1, _ => 2",
        "LampEffect::On(_) => 1, other => 2",
        "LampEffect::On { .. } | LampEffect::Off => 1, _ => 2",
        "Some(LampEffect::On) => 1, Some(_) => 2, None => 3",
        "Some(LampEffect::On) => 1, _ => 2",
        "(LampEffect::On, true) => 1, (other, _) => 2",
        "&io::LampEffect::On => 1, &_ => 2",
        "LampEffect::On => 1, all @ _ => 2",
    ];
    for text in caught {
        let all = found(shape::effects, &[("a/src/lib.rs", &arms(text))]);
        assert_eq!(all.len(), 1, "{text}");
        assert!(
            all[0].starts_with("a/src/lib.rs:2: catches every further effect"),
            "{all:?}"
        );
    }
    let own = "impl LampEffect { fn f(&self) { match self {\nSelf::On => 1, _ => 2 } } }";
    assert_eq!(found(shape::effects, &[("a/src/lib.rs", own)]).len(), 1);
    let named = [
        "LampEffect::On => 1, LampEffect::Off => 2",
        "LampEffect::On(_) => 1, LampEffect::Off(other) => 2",
        "LampEffect::On { level: _ } => 1, LampEffect::Off => 2",
        "(LampEffect::On, _) => 1, (LampEffect::Off, other) => 2",
        "Lamp::On => 1, _ => 2",
        "LampEffect::On if y => 1, other if z => 2, LampEffect::On | LampEffect::Off => 3",
    ];
    for text in named {
        assert_eq!(
            found(shape::effects, &[("a/src/lib.rs", &arms(text))]),
            [""; 0],
            "{text}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_parsed_is_found() {
    let all = found(shape::parses, &[("a/src/lib.rs", "fn f() {}\nfn g( {}")]);
    assert!(all[0].starts_with("a/src/lib.rs:2: cannot be parsed: "), "{all:?}");
}
