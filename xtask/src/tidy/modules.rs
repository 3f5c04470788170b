//! The modules of one crate, and what a path in them leads to.
//!
//! Built from the syntax of the files that a crate's root reaches by `mod`. A path is followed through imports and
//! re-exports to the file that defines what it names; a path that leaves the crate, or that only a type's checker could
//! follow (methods, fields), leads nowhere. Names are followed without regard to who may see them.

use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};
use syn::{Item, UseTree};

/// One crate: its files, and its modules, of which the first is the root.
pub(super) struct Crate<'a> {
    modules: Vec<Module<'a>>,
    /// Macros by example, which are in force without an import, and the files that define them.
    macros: BTreeMap<String, Vec<&'a str>>,
}

struct Module<'a> {
    parent: Option<usize>,
    file: &'a str,
    test: bool,
    names: BTreeMap<String, Vec<Name>>,
    globs: Vec<Vec<String>>,
    mentions: Vec<Mention>,
    impls: Vec<Impl>,
}

/// What a name in a module stands for.
enum Name {
    DefinedHere,
    Module(usize),
    Import(Vec<String>),
}

/// A path that is written somewhere.
struct Mention {
    path: Vec<String>,
    line: usize,
    is_macro: bool,
}

/// An `impl` block: for which type, of which trait.
struct Impl {
    path: Vec<String>,
    line: usize,
    of_trait: Option<String>,
}

/// A path that leads from one file to another.
pub(super) struct Use<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) line: usize,
    pub(super) path: String,
}

/// An `impl` block of a type of this crate.
pub(super) struct ImplBlock<'a> {
    pub(super) file: &'a str,
    pub(super) line: usize,
    pub(super) type_name: String,
    /// The file that defines the type.
    pub(super) type_file: &'a str,
    pub(super) of_trait: Option<String>,
    /// True below `#[cfg(test)]`.
    pub(super) test: bool,
}

/// Where a path may lead.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Target<'a> {
    File(&'a str),
    Module(usize),
}

type Seen = BTreeSet<(usize, String, bool)>;

impl<'a> Crate<'a> {
    /// The crate whose root is the file `root`; none if there is no such file.
    pub(super) fn load(root: &'a str, files: &BTreeMap<&'a str, &'a syn::File>) -> Option<Self> {
        let file = files.get(root)?;
        let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut this = Self {
            modules: Vec::new(),
            macros: BTreeMap::new(),
        };
        let place = Place {
            parent: None,
            file: root,
            folder: folder.to_owned(),
            test: false,
        };
        this.add(place, &file.items, files);
        Some(this)
    }

    fn add(&mut self, place: Place<'a>, items: &'a [Item], files: &BTreeMap<&'a str, &'a syn::File>) -> usize {
        let at = self.modules.len();
        let mut collector = Collector::default();
        for item in items {
            collector.visit_item(item);
            if let Some(ident) = ident(item) {
                collector.names.entry(ident).or_default().push(Name::DefinedHere);
            }
        }
        for name in collector.macros {
            self.macros.entry(name.clone()).or_default().push(place.file);
            collector.names.entry(name).or_default().push(Name::DefinedHere);
        }
        self.modules.push(Module {
            parent: place.parent,
            file: place.file,
            test: place.test,
            names: collector.names,
            globs: collector.globs,
            mentions: collector.mentions,
            impls: collector.impls,
        });
        for item in items {
            let Item::Mod(declared) = item else { continue };
            let name = declared.ident.to_string();
            let folder = format!("{}/{name}", place.folder);
            let test = place.test || declared.attrs.iter().any(is_cfg_test);
            let (file, items) = match &declared.content {
                Some((_, items)) => (place.file, items.as_slice()),
                None => {
                    let paths = [format!("{folder}.rs"), format!("{folder}/mod.rs")];
                    let Some((file, parsed)) = paths.iter().find_map(|path| files.get_key_value(path.as_str())) else {
                        continue;
                    };
                    (*file, parsed.items.as_slice())
                }
            };
            let parent = Some(at);
            let child = Place {
                parent,
                file,
                folder,
                test,
            };
            let child = self.add(child, items, files);
            self.modules[at]
                .names
                .entry(name)
                .or_default()
                .push(Name::Module(child));
        }
        at
    }

    /// Every file that the root reaches.
    pub(super) fn files(&self) -> BTreeSet<&'a str> {
        self.modules.iter().map(|module| module.file).collect()
    }

    /// Every path that leads from one file of the crate to another.
    pub(super) fn uses(&self) -> Vec<Use<'a>> {
        let mut uses = Vec::new();
        for (at, module) in self.modules.iter().enumerate() {
            for mention in &module.mentions {
                for to in self.defining(at, mention) {
                    if to != module.file {
                        uses.push(Use {
                            from: module.file,
                            to,
                            line: mention.line,
                            path: mention.path.join("::"),
                        });
                    }
                }
            }
        }
        uses
    }

    /// Every `impl` block of a type that the crate defines.
    pub(super) fn impls(&self) -> Vec<ImplBlock<'a>> {
        let mut blocks = Vec::new();
        for (at, module) in self.modules.iter().enumerate() {
            for block in &module.impls {
                let targets = self.resolve(at, &block.path, false, &mut Seen::new());
                let files = targets.into_iter().filter_map(Target::file);
                blocks.extend(files.map(|type_file| ImplBlock {
                    file: module.file,
                    line: block.line,
                    type_name: block.path.last().cloned().unwrap_or_default(),
                    type_file,
                    of_trait: block.of_trait.clone(),
                    test: module.test,
                }));
            }
        }
        blocks
    }

    fn defining(&self, at: usize, mention: &Mention) -> Vec<&'a str> {
        let found = self.resolve(at, &mention.path, false, &mut Seen::new());
        let found: Vec<&str> = found.into_iter().filter_map(Target::file).collect();
        match (mention.path.as_slice(), mention.is_macro && found.is_empty()) {
            ([name], true) => self.macros.get(name).cloned().unwrap_or_default(),
            _ => found,
        }
    }

    fn resolve(&self, at: usize, path: &[String], want_module: bool, seen: &mut Seen) -> Vec<Target<'a>> {
        let Some((first, mut rest)) = path.split_first() else {
            return Vec::new();
        };
        let more = |rest: &[String]| want_module || !rest.is_empty();
        let mut targets = match first.as_str() {
            "crate" => vec![Target::Module(0)],
            "self" => vec![Target::Module(at)],
            "super" => self.modules[at].parent.map(Target::Module).into_iter().collect(),
            name => self.lookup(at, name, more(rest), seen),
        };
        while let Some((name, later)) = rest.split_first() {
            let mut next = BTreeSet::new();
            for target in &targets {
                match *target {
                    // What follows a type is its variant or its associated item.
                    Target::File(_) => drop(next.insert(*target)),
                    Target::Module(module) if name == "super" => {
                        next.extend(self.modules[module].parent.map(Target::Module));
                    }
                    Target::Module(module) if name == "self" => drop(next.insert(Target::Module(module))),
                    Target::Module(module) => next.extend(self.lookup(module, name, more(later), seen)),
                }
            }
            let in_modules = targets.iter().any(|target| matches!(target, Target::Module(_)));
            targets = next.into_iter().collect();
            // A name may be a module's and an item's: the one in which the path goes on is meant.
            if in_modules && targets.is_empty() {
                return Vec::new();
            }
            rest = later;
        }
        targets
    }

    fn lookup(&self, at: usize, name: &str, want_module: bool, seen: &mut Seen) -> Vec<Target<'a>> {
        if !seen.insert((at, name.to_owned(), want_module)) {
            return Vec::new();
        }
        let module = &self.modules[at];
        let mut found = BTreeSet::new();
        for meant in module.names.get(name).into_iter().flatten() {
            match meant {
                Name::DefinedHere => drop(found.insert(Target::File(module.file))),
                Name::Module(child) => drop(found.insert(Target::Module(*child))),
                Name::Import(path) => found.extend(self.resolve(at, path, want_module, seen)),
            }
        }
        if found.is_empty() {
            for glob in &module.globs {
                for target in self.resolve(at, glob, true, seen) {
                    if let Target::Module(other) = target {
                        found.extend(self.lookup(other, name, want_module, seen));
                    }
                }
            }
        }
        let modules = || found.iter().filter(|target| matches!(target, Target::Module(_)));
        if want_module && modules().next().is_some() {
            return modules().copied().collect();
        }
        found.into_iter().collect()
    }
}

impl<'a> Target<'a> {
    /// A module that is named by itself leads to none of its items.
    fn file(self) -> Option<&'a str> {
        match self {
            Self::File(file) => Some(file),
            Self::Module(_) => None,
        }
    }
}

struct Place<'a> {
    parent: Option<usize>,
    file: &'a str,
    folder: String,
    test: bool,
}

fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    let cfg = attribute.path().is_ident("cfg");
    cfg && attribute
        .parse_args::<syn::Path>()
        .is_ok_and(|path| path.is_ident("test"))
}

fn ident(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// Gathers what one module says, without the modules in it.
#[derive(Default)]
struct Collector {
    names: BTreeMap<String, Vec<Name>>,
    globs: Vec<Vec<String>>,
    mentions: Vec<Mention>,
    impls: Vec<Impl>,
    macros: Vec<String>,
}

impl Collector {
    fn mention(&mut self, path: Vec<String>, line: usize, is_macro: bool) {
        self.mentions.push(Mention { path, line, is_macro });
    }

    /// Takes up the names of an import. One that is passed on (`pub use`) is no use by itself: who takes the name from
    /// here uses the file that defines it.
    fn import(&mut self, tree: &UseTree, prefix: &[String], passed_on: bool) {
        let with = |name: &syn::Ident| {
            let mut path = prefix.to_vec();
            if name != "self" || path.is_empty() {
                path.push(name.to_string());
            }
            path
        };
        let (path, bound, line) = match tree {
            UseTree::Path(part) => return self.import(&part.tree, &with(&part.ident), passed_on),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, prefix, passed_on);
                }
                return;
            }
            UseTree::Name(name) => {
                let path = with(&name.ident);
                let bound = path.last().cloned().unwrap_or_default();
                (path, Some(bound), name.ident.span().start().line)
            }
            UseTree::Rename(name) => {
                let line = name.ident.span().start().line;
                (with(&name.ident), Some(name.rename.to_string()), line)
            }
            UseTree::Glob(glob) => {
                self.globs.push(prefix.to_vec());
                (prefix.to_vec(), None, glob.star_token.spans[0].start().line)
            }
        };
        if let Some(bound) = bound {
            self.names.entry(bound).or_default().push(Name::Import(path.clone()));
        }
        if !passed_on {
            self.mention(path, line, false);
        }
    }

    /// The paths in the tokens of a macro's call or definition, or of an attribute.
    fn tokens(&mut self, tokens: &TokenStream) {
        let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
        let is =
            |at: usize, mark: char| matches!(trees.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == mark);
        let mut at = 0;
        while at < trees.len() {
            match &trees[at] {
                TokenTree::Group(group) => self.tokens(&group.stream()),
                TokenTree::Ident(first) if at == 0 || !is(at - 1, '.') || (at > 1 && is(at - 2, '.')) => {
                    let mut path = vec![first.to_string()];
                    while let (true, true, Some(TokenTree::Ident(next))) =
                        (is(at + 1, ':'), is(at + 2, ':'), trees.get(at + 3))
                    {
                        path.push(next.to_string());
                        at += 3;
                    }
                    let called = matches!(trees.get(at + 1), Some(TokenTree::Group(_)));
                    let is_macro = is(at + 1, '!') && !is(at + 2, '=');
                    let line = first.span().start().line;
                    if path.len() > 1 || called || is_macro || is_item_case(&path[0]) {
                        self.mention(path, line, is_macro);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }
}

/// True for a type's or constant's name: a short path of another case is most often a local variable.
fn is_item_case(name: &str) -> bool {
    name.starts_with(char::is_uppercase)
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|part| part.ident.to_string()).collect()
}

fn line(path: &syn::Path) -> usize {
    path.segments.first().map_or(0, |part| part.ident.span().start().line)
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.import(&item.tree, &[], !matches!(item.vis, syn::Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = segments(path);
        if path.leading_colon.is_none() && (names.len() > 1 || names.first().is_some_and(|name| is_item_case(name))) {
            self.mention(names, line(path), false);
        }
        visit::visit_path(self, path);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(function) = &*call.func {
            self.mention(segments(&function.path), line(&function.path), false);
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if !call.path.is_ident("macro_rules") {
            self.mention(segments(&call.path), line(&call.path), true);
        }
        self.tokens(&call.tokens);
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        self.macros.extend(item.ident.as_ref().map(ToString::to_string));
        visit::visit_item_macro(self, item);
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.tokens(&list.tokens);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let syn::Type::Path(of) = &*item.self_ty {
            self.impls.push(Impl {
                path: segments(&of.path),
                line: line(&of.path),
                of_trait: item.trait_.as_ref().and_then(|(path, _)| segments(path).pop()),
            });
        }
        visit::visit_item_impl(self, item);
    }
}
