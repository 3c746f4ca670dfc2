-- Real foreign keys between the tables of definitions: what belongs to a deleted flow, step or
-- version goes with it. Keys never change (triggers see to it), so there is no "on update".
alter table workflow_steps
    add constraint step_belongs_to_a_workflow
    foreign key (workflow_slug) references workflows (workflow_slug) on delete cascade;

alter table workflow_step_dependencies_def
    add constraint dependency_is_waited_for_by_a_step
    foreign key (workflow_slug, step_slug)
    references workflow_steps (workflow_slug, step_slug) on delete cascade;

alter table workflow_step_dependencies_def
    add constraint dependency_is_a_step_of_the_same_workflow
    foreign key (workflow_slug, dep_slug)
    references workflow_steps (workflow_slug, step_slug) on delete cascade;

alter table workflow_version_steps
    add constraint version_step_belongs_to_a_version
    foreign key (version_id) references workflow_versions (id) on delete cascade;
