//! Attachments.
use super::*;
use crate::container::io::ContainerView;

fn inventory(names: &[(&str, &str)]) -> Inventory {
    let mut it = Inventory::new(SubjectId::new("h/d").unwrap(), Duration::from_secs(30));
    for (id, name) in names {
        it.admit(&id.to_string(), Moment::ZERO);
        inspect(&mut it, id, name);
    }
    it
}

fn inspect(it: &mut Inventory, id: &str, name: &str) {
    let view = ContainerView {
        name: name.into(),
        ..ContainerView::default()
    };
    it.get_mut(&id.to_string()).unwrap().absorb(Moment::ZERO, view);
}

fn attach(it: &mut Inventory, id: &str, in_repair: bool) -> Option<String> {
    it.attach(Moment::ZERO, &id.to_string(), |_| in_repair);
    it.holder_of(&id.to_string()).map(ToString::to_string)
}

#[test]
fn a_name_is_one_subject_and_a_temporary_one_is_none() {
    let aside = "0123456789abcdef";
    let mut it = inventory(&[("c1", "web"), ("c2", "web"), (aside, "0123456789ab_web")]);
    assert_eq!(attach(&mut it, "c1", false).as_deref(), Some("h/d/web"));
    assert_eq!(attach(&mut it, "c2", false), None, "the place is taken");
    assert_eq!(attach(&mut it, aside, false), None);
    let mut other = inventory(&[("c1", "202611261200_web")]);
    assert_eq!(attach(&mut other, "c1", false).as_deref(), Some("h/d/202611261200_web"));
    assert_eq!(it.forget(Moment::ZERO, &"c1".to_string()).unwrap().as_str(), "h/d/web");
    assert_eq!(attach(&mut it, "c2", false).as_deref(), Some("h/d/web"));
}

#[test]
fn what_is_renamed_in_a_repair_moves_when_that_is_over() {
    let mut it = inventory(&[("c1", "web")]);
    attach(&mut it, "c1", false);
    inspect(&mut it, "c1", "db");
    assert_eq!(attach(&mut it, "c1", true).as_deref(), Some("h/d/web"));
    assert_eq!(attach(&mut it, "c1", false).as_deref(), Some("h/d/db"));
    let web = SubjectId::new("h/d/web").unwrap();
    assert_eq!(it.container_of(&web), None);
    assert_eq!(it.empty_until(Moment::ZERO, &web), None, "nothing is listed yet");
    it.listed(Moment::ZERO, &BTreeSet::new());
    assert_eq!(it.empty_until(Moment::ZERO, &web), Some(Moment::ZERO + EMPTY_FOR));
}
