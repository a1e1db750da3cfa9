// The dialog of one person: what is known of them, and what can be done.

import * as api from './api.js';
import {announce, fill, h, setText} from './dom.js';
import {t} from './i18n.js';
import {explainPerson, pinText, roleText} from './people_text.js';
import {askBadge, askRemoval, badgeList, loadBadges} from './person_badges.js';
import {askDisabled, askEdit, askSignOut} from './person_forms.js';
import {showLink} from './person_link.js';
import {askPin} from './person_pin.js';
import * as session from './session.js';

export class PersonDialog {
  /** `find(id)` is a person of the list, `reload()` loads the list anew. */
  constructor({find, reload}) {
    this.find = find;
    this.reload = reload;
    this.element = h('dialog', {id: 'person-dialog', 'aria-labelledby': 'person-title'});
    // Behind the dialogs for questions: a scan is told in the first one that is open.
    document.body.append(this.element);
  }

  /** Opens it; `isNew` offers first of all how they sign in. */
  open(person, {isNew = false} = {}) {
    this.id = person.id;
    this.isNew = isNew;
    this.badges = [];
    this.#draw(person);
    this.element.showModal();
    (this.element.querySelector('.actions button') ?? this.element).focus();
    this.#loadBadges();
  }

  close() {
    this.element.close();
    fill(this.element);
  }

  #draw(person) {
    const isSelf = person.id === session.current()?.worker.id;
    this.said = h('p', {class: 'said', role: 'alert'});
    this.badgePlace = h('div', {});
    const act = (name, text, go, properties = {}) => h('button', {type: 'button', 'data-action': name,
      onclick: () => this.#act(name, go), ...properties}, text);
    const signsIn = [
      !person.disabled
        && act('link', t('people.link.show'), () => showLink(person), {class: this.isNew ? 'primary' : null}),
      isSelf ? h('a', {class: 'button', href: '/account'}, t('people.pin.own'))
        : act('pin', t('people.pin.set'), () => askPin(person)),
    ];
    fill(this.element,
      h('h2', {id: 'person-title'}, h('bdi', {}, person.name)),
      this.isNew && h('p', {class: 'just-added', role: 'status'}, t('people.added', {name: person.name})),
      h('dl', {class: 'facts'},
        h('dt', {}, t('people.id')), h('dd', {}, person.id),
        h('dt', {}, t('people.role')), h('dd', {}, roleText(person.role)),
        h('dt', {}, t('people.state')), h('dd', {}, t(person.disabled ? 'people.disabled' : 'people.active')),
        h('dt', {}, t('session.pin')), h('dd', {}, pinText(person))),
      this.said,
      h('div', {class: 'actions'}, ...signsIn,
        act('edit', t('people.edit'), () => askEdit(person)),
        act('sign-out', t('people.sign_out'), () => askSignOut(person)),
        act('disabled', t(person.disabled ? 'people.enable' : 'people.disable'), () => askDisabled(person),
          {class: person.disabled ? null : 'danger'})),
      h('h3', {}, t('people.badge.heading')), this.badgePlace,
      h('div', {class: 'buttons'},
        act('badge', t('people.badge.add'), () => askBadge(person, (id) => this.find(id)?.name ?? id)),
        h('button', {type: 'button', class: 'close', onclick: () => this.close()}, t('people.close'))));
    this.#drawBadges();
  }

  #drawBadges() {
    const person = this.find(this.id);
    if (this.badges.length === 0) {
      fill(this.badgePlace, h('p', {class: 'soft'}, t('people.badge.none')));
    } else {
      fill(this.badgePlace, badgeList(this.badges,
        (badge) => this.#act('badge', () => askRemoval(person, badge))));
    }
  }

  /** Carries out an action, and shows what is then. */
  async #act(name, go) {
    const {id} = this;
    setText(this.said, '');
    try {
      const result = await go();
      if (result === null || result === undefined) return; // cancelled, or nothing to load anew
      const self = session.current()?.worker.id;
      if (id === self && (name === 'sign-out' || result.disabled || (result.role && result.role !== 'admin'))) {
        location.reload(); // who has given up the rights sees nothing of it any more
        return;
      }
      await this.reload();
      const person = this.find(id);
      if (!person || !this.element.open || this.id !== id) return;
      this.#draw(person);
      this.#loadBadges();
      this.element.querySelector(`[data-action="${name}"]`)?.focus();
      announce(t('people.done', {name: person.name}));
    } catch (problem) {
      if (problem.status === undefined) throw problem; // a bug of the page
      setText(this.said, explainPerson(problem));
    }
  }

  async #loadBadges() {
    const {id} = this;
    const person = this.find(id);
    if (!person) return;
    try {
      const badges = person.badges > 0 ? await loadBadges(person) : [];
      if (id !== this.id || !this.element.open) return;
      this.badges = badges;
      this.#drawBadges();
    } catch (problem) {
      if (problem instanceof api.Problem && id === this.id) setText(this.said, explainPerson(problem));
      else throw problem;
    }
  }
}
