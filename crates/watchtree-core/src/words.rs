//! Enums of which each variant has one word, on the wire, in the journal and in JSON: variant, word and table in one place.

macro_rules! words {
    ($(#[$about:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// All, for tables.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// Its word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The one of that word; a word of a newer version is `None`.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|it| it.as_str() == word)
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    //! What the macro makes.

    use crate::decision::GuardVerdict;

    #[test]
    fn each_variant_has_its_word_and_is_found_by_it() {
        let words = ["passed", "blocked", "waived", "not_asked"];
        assert_eq!(GuardVerdict::ALL.map(GuardVerdict::as_str), words);
        assert_eq!(GuardVerdict::from_word("waived"), Some(GuardVerdict::Waived));
        assert_eq!(GuardVerdict::from_word("newer"), None);
    }
}
